const tip=document.getElementById('tip');
for(const f of document.querySelectorAll('[data-chart]')){
  const d=JSON.parse(f.dataset.chart),svg=f.querySelector('svg'),cursor=f.querySelector('.cursor');
  svg.addEventListener('pointermove',e=>{
    const box=svg.getBoundingClientRect(),px=(e.clientX-box.left)/box.width*d.width;
    const want=d.x[0]+(px-d.left)/(d.right-d.left)*(d.x[1]-d.x[0]);
    let text='',at=null;
    for(const l of d.lines){
      let k=0;
      for(let i=1;i<l.x.length;i++)if(Math.abs(l.x[i]-want)<Math.abs(l.x[k]-want))k=i;
      if(at===null){at=l.x[k];text=d.axis+' '+Number(at.toFixed(1))}
      text+='\n'+l.name+'  '+Number(l.y[k].toPrecision(4))+(d.unit==='%'?' %':'');
    }
    const span=d.x[1]-d.x[0];
    const x=span?d.left+(at-d.x[0])/span*(d.right-d.left):(d.left+d.right)/2;
    cursor.setAttribute('x1',x);cursor.setAttribute('x2',x);cursor.setAttribute('visibility','visible');
    tip.textContent=text;tip.hidden=false;
    tip.style.left=Math.min(e.clientX+14,innerWidth-tip.offsetWidth-8)+'px';tip.style.top=(e.clientY+14)+'px';
  });
  svg.addEventListener('pointerleave',()=>{tip.hidden=true;cursor.setAttribute('visibility','hidden')});
}
