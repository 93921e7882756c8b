/** Written by scripts/write-charsets.ts from a server's own tables (MySQL 9.7.4-2). */

import type { CodePageData } from './code-page.ts';

export const CODE_PAGES = {
  armscii8: {
    layout: 'single',
    base: 'armscii8',
    differences: 'A1=2741 A2=A7 AD=55F FE=2019 FF=27',
    checksum: 486742916,
  },
  big5: {
    layout: 'double',
    base: 'cp950',
    differences:
      'A145=2022 A14E=FF64 A15A= A1C2=203E A1C3= A1C5= A1E3=223C A1F2=2641 A1F3=2609 A1FE= A240= A241=FF0F A242=FF3C A244=A5 A246+1=A2 A2CC= A2CE= A3E1= C6A1=30FE C6A2+1=309D C6A4=3005 C6A5+82=3041 C6F8+6=30A1 C740+62=30A8 C7A1+15=30E7 C7B1+1=414 C7B3=401 C7B4+6=416 C7BB+18=423 C7CE=451 C7CF+25=436 C7E9+9=2460 C7F3+9=2474 F9DD+33=',
    checksum: 104643752,
  },
  cp1250: {
    layout: 'single',
    base: 'cp1250',
    differences: '',
    checksum: 3926724758,
  },
  cp1251: {
    layout: 'single',
    base: 'cp1251',
    differences: '',
    checksum: 940463094,
  },
  cp1256: {
    layout: 'single',
    base: 'cp1256',
    differences: '8A= 8F= 98= 9A= 9F= AA= C0= FF=',
    checksum: 3337469921,
  },
  cp1257: {
    layout: 'single',
    base: 'cp1257',
    differences: '',
    checksum: 2392767200,
  },
  cp850: {
    layout: 'single',
    base: 'cp850',
    differences: '',
    checksum: 3481669605,
  },
  cp852: {
    layout: 'single',
    base: 'cp852',
    differences: '',
    checksum: 133072624,
  },
  cp866: {
    layout: 'single',
    base: 'cp866',
    differences: 'FC=207F FD=B2',
    checksum: 1444950987,
  },
  cp932: {
    layout: 'double',
    base: 'cp932',
    differences: '80= F941+61=E69D F980+124=E6DB',
    checksum: 4226040364,
  },
  dec8: {
    layout: 'single',
    base: 'iso88591',
    differences: 'A4= A6= A8=A4 AC+3= B4= B8= BE= D0= D7=152 DD=178 DE= F0= F7=153 FD=FF FE+1=',
    checksum: 2763519519,
  },
  eucjpms: {
    layout: 'triple',
    base: 'eucjp',
    differences:
      'F5A1+93=E000 F6A1+93=E05E F7A1+93=E0BC F8A1+93=E11A F9A1+93=E178 FAA1+93=E1D6 FBA1+93=E234 FCA1+93=E292 FDA1+93=E2F0 FEA1+93=E34E 8FA2C3=FFE4 8FF3F3+9=2170 8FF3FD+1=2160 8FF4A1+7=2162 8FF4A9=FF07 8FF4AA=FF02 8FF4AB=3231 8FF4AC=2116 8FF4AD=2121 8FF4AE=70BB 8FF4AF=4EFC 8FF4B0=50F4 8FF4B1=51EC 8FF4B2=5307 8FF4B3=5324 8FF4B4=FA0E 8FF4B5=548A 8FF4B6=5759 8FF4B7+1=FA0F 8FF4B9=589E 8FF4BA=5BEC 8FF4BB=5CF5 8FF4BC=5D53 8FF4BD=FA11 8FF4BE=5FB7 8FF4BF=6085 8FF4C0=6120 8FF4C1=654E 8FF4C2=663B 8FF4C3=6665 8FF4C4=FA12 8FF4C5=F929 8FF4C6=6801 8FF4C7+1=FA13 8FF4C9=6A6B 8FF4CA=6AE2 8FF4CB=6DF8 8FF4CC=6DF2 8FF4CD=7028 8FF4CE+1=FA15 8FF4D0=7501 8FF4D1=7682 8FF4D2=769E 8FF4D3=FA17 8FF4D4=7930 8FF4D5+3=FA18 8FF4D9=7AE7 8FF4DA+1=FA1C 8FF4DC=7DA0 8FF4DD=7DD6 8FF4DE=FA1E 8FF4DF=8362 8FF4E0=FA1F 8FF4E1=85B0 8FF4E2+1=FA20 8FF4E4=8807 8FF4E5=FA22 8FF4E6=8B7F 8FF4E7=8CF4 8FF4E8=8D76 8FF4E9+2=FA23 8FF4EC=90DE 8FF4ED=FA26 8FF4EE=9115 8FF4EF+1=FA27 8FF4F1=9592 8FF4F2=F9DC 8FF4F3=FA29 8FF4F4=973B 8FF4F5=974D 8FF4F6=9751 8FF4F7+2=FA2A 8FF4FA=999E 8FF4FB=9AD9 8FF4FC=9B72 8FF4FD=FA2D 8FF4FE=9ED1 8FF5A1+93=E3AC 8FF6A1+93=E40A 8FF7A1+93=E468 8FF8A1+93=E4C6 8FF9A1+93=E524 8FFAA1+93=E582 8FFBA1+93=E5E0 8FFCA1+93=E63E 8FFDA1+93=E69C 8FFEA1+93=E6FA',
    checksum: 403157428,
  },
  euckr: {
    layout: 'double',
    base: 'cp949',
    differences: '',
    checksum: 1933084043,
  },
  gb18030: {
    layout: 'gb18030',
    base: 'gb18030',
    differences: '80= A3A0=E5E5 8431A437=FFFD',
    checksum: 1677655382,
  },
  gb2312: {
    layout: 'double-high',
    base: 'cp936',
    differences: '80= A1A4=30FB A1AA=2015 A2A1+9= A6E0+11= A6EE+4= A6F4+1= A8BB= A8BD+1= A8C0=',
    checksum: 992934771,
  },
  gbk: {
    layout: 'double',
    base: 'gbk',
    differences:
      '80= A140+62= A180+32= A240+62= A280+32= A2AB+5= A2E3+1= A2EF+1= A2FD+1= A340+62= A380+32= A440+62= A480+32= A4F4+10= A540+62= A580+32= A5F7+7= A640+62= A680+32= A6B9+7= A6D9+6= A6EC+1= A6F3= A6F6+8= A740+62= A780+32= A7C2+14= A7F2+12= A896+10= A8BC= A8BF= A8C1+3= A8EA+20= A958= A95B= A95D+2= A989+12= A997+12= A9F0+14= AAA1+93= ABA1+93= ACA1+93= ADA1+93= AEA1+93= AFA1+93= D7FA+4= F8A1+93= F9A1+93= FAA1+93= FBA1+93= FCA1+93= FDA1+93= FE50+46= FE80+126=',
    checksum: 229837196,
  },
  geostd8: {
    layout: 'single',
    base: 'cp1252',
    differences:
      '83= 88= 8A= 8C= 8E= 98+2= 9C= 9E+1= C0+6=10D0 C7=10F1 C8+5=10D7 CE=10F2 CF+5=10DD D5=10F3 D6+11=10E3 E2=10F4 E3+1=10EF E5=10F5 E6+22= FD=2116 FE+1=',
    checksum: 3113272688,
  },
  greek: {
    layout: 'single',
    base: 'iso88597',
    differences: 'A1=2BD A2=2BC A4+1= AA=',
    checksum: 342094336,
  },
  hebrew: {
    layout: 'single',
    base: 'iso88598',
    differences: 'AF=203E',
    checksum: 1675856045,
  },
  hp8: {
    layout: 'single',
    base: 'iso88591',
    differences:
      'A1=C0 A2=C2 A3=C8 A4+1=CA A6+1=CE A8=B4 A9=2CB AA=2C6 AB=A8 AC=2DC AD=D9 AE=DB AF=20A4 B0=AF B1=DD B2=FD B3=B0 B4=C7 B5=E7 B6=D1 B7=F1 B8=A1 B9=BF BA=A4 BB=A3 BC=A5 BD=A7 BE=192 BF=A2 C0=E2 C1=EA C2=F4 C3=FB C4=E1 C5=E9 C6=F3 C7=FA C8=E0 C9=E8 CA=F2 CB=F9 CC=E4 CD=EB CE=F6 CF=FC D0=C5 D1=EE D2=D8 D3=C6 D4=E5 D5=ED D6=F8 D7=E6 D8=C4 D9=EC DA=D6 DB=DC DC=C9 DD=EF DE=DF DF=D4 E0=C1 E1=C3 E2=E3 E3=D0 E4=F0 E5=CD E6=CC E7=D3 E8=D2 E9=D5 EA=F5 EB+1=160 ED=DA EE=178 EF=FF F0=DE F1=FE F2=B7 F3+1=B5 F5=BE F6=2014 F7+1=BC F9=AA FA=BA FB=AB FC=25A0 FD=BB FE=B1 FF=',
    checksum: 4152834208,
  },
  keybcs2: {
    layout: 'single',
    base: 'cp437',
    differences:
      '80=10C 83=10F 85=10E 86=164 87=10D 88=11B 89=11A 8A=139 8B=CD 8C=13E 8D=13A 8F=C1 91=17E 92=17D 95=D3 96=16F 97=DA 98=FD 9B=160 9C=13D 9D=DD 9E=158 9F=165 A4=148 A5=147 A6=16E A7=D4 A8=161 A9=159 AA=155 AB=154',
    checksum: 497013737,
  },
  koi8r: {
    layout: 'single',
    base: 'koi8r',
    differences: '',
    checksum: 2513823396,
  },
  koi8u: {
    layout: 'single',
    base: 'koi8u',
    differences: '95=2022',
    checksum: 1109776249,
  },
  latin2: {
    layout: 'single',
    base: 'iso88592',
    differences: '',
    checksum: 4235581838,
  },
  latin5: {
    layout: 'single',
    base: 'iso88599',
    differences: '',
    checksum: 286733709,
  },
  latin7: {
    layout: 'single',
    base: 'iso885913',
    differences: '',
    checksum: 1645930641,
  },
  macce: {
    layout: 'single',
    base: 'macCenteuro',
    differences: '',
    checksum: 2621738619,
  },
  macroman: {
    layout: 'single',
    base: 'macroman',
    differences: 'BD=3A9 DB=20AC F0=F8FF',
    checksum: 471769929,
  },
  sjis: {
    layout: 'double',
    base: 'cp932',
    differences:
      '80= 815F=5C 8160=301C 8161=2016 817C=2212 8191+1=A2 81CA=AC 8740+29= 875F+22= 877E= 8780+28= ED40+62= ED80+124= EE40+62= EE80+108= EEEF+13= F040+62= F080+124= F140+62= F180+124= F240+62= F280+124= F340+62= F380+124= F440+62= F480+124= F540+62= F580+124= F640+62= F680+124= F740+62= F780+124= F840+62= F880+124= F940= FA40+62= FA80+124= FB40+62= FB80+124= FC40+11=',
    checksum: 4241973306,
  },
  swe7: {
    layout: 'single',
    base: 'ascii',
    differences: '40=C9 5B=C4 5C=D6 5D=C5 5E=DC 60=E9 7B=E4 7C=F6 7D=E5 7E=FC 7F=',
    checksum: 3333013582,
  },
  tis620: {
    layout: 'single',
    base: 'tis620',
    differences: '80+31=80',
    checksum: 3178283483,
  },
  ujis: {
    layout: 'triple',
    base: 'eucjp',
    differences:
      'A1C0=5C A1C1=301C A1C2=2016 A1DD=2212 A1F1+1=A2 A2CC=AC ADA1+29= ADC0+22= ADDF+29= F5A1+93=E000 F6A1+93=E05E F7A1+93=E0BC F8A1+93=E11A F9A1+93=E178 FAA1+93=E1D6 FBA1+93=E234 FCA1+93=E292 FDA1+93=E2F0 FEA1+93=E34E 8FA2B7=7E 8FF5A1+93=E3AC 8FF6A1+93=E40A 8FF7A1+93=E468 8FF8A1+93=E4C6 8FF9A1+93=E524 8FFAA1+93=E582 8FFBA1+93=E5E0 8FFCA1+93=E63E 8FFDA1+93=E69C 8FFEA1+93=E6FA',
    checksum: 4206249731,
  },
} as const satisfies Readonly<Record<string, CodePageData>>;
